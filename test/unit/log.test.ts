import { expect, test } from 'vitest'
import { loggedError } from '../../server/log.ts'

function thrownBy(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return error
  }
}

test('of an error the log has its name, message, code and frames, and nothing that hangs on it', () => {
  const error = Object.assign(new TypeError('no'), { code: 'E_NO', command: { args: ['secret'] }, secret: 1 })
  const { stack, ...rest } = loggedError(error)
  expect(rest).toEqual({ type: 'TypeError', message: 'no', code: 'E_NO' })
  expect(stack).toMatch(/^TypeError: no \(E_NO\)\n {4}at .*log\.test\.ts/)
})

test.each([
  ['{secret', 'Expected property name'],
  ['secret', 'Unexpected token'],
  [`"a": "b", ${'x'.repeat(50)} secret ${'y'.repeat(50)}`, ''],
  ['[1, 2, secret]', 'Unexpected token'],
  ['"line\n    at secret', ''],
])('what JSON.parse says of %j is told without the text', (text, says) => {
  const logged = JSON.stringify(loggedError(thrownBy(() => JSON.parse(text))))
  expect(logged).toContain(says)
  expect(logged).not.toMatch(/secret|xxx|yyy/)
})

test('what Redis says of a command that it does not know is told without its arguments', () => {
  const said = "ERR unknown command 'x', with args beginning with: 'secret' 'secret"
  expect(loggedError(new Error(said)).message).toBe("ERR unknown command 'x'")
})

test('causes and the errors of an AggregateError are told the same way, however deep and however circular', () => {
  const inner = Object.assign(new Error('inner'), { args: 'secret' })
  const outer = new AggregateError([inner], 'outer', { cause: inner })
  inner.cause = outer
  const { stack, ...rest } = loggedError(outer)
  expect(rest).toEqual({ type: 'AggregateError', message: 'outer' })
  expect(stack.match(/^\S.*/gm)).toEqual(['AggregateError: outer', 'caused by: Error: inner'])
  expect(stack).not.toContain('secret')
})

test('lines of a message that look like frames are none', () => {
  expect(loggedError(new Error('no\n    at secret')).stack.match(/at secret/g)).toHaveLength(1)
})

test.each([
  [undefined, 'no error but undefined'],
  [null, 'no error but null'],
  [{ secret: 'secret' }, 'no error but object'],
  ['words', 'words'],
])('of %j, which is no Error, only so much', (thrown, message) => {
  expect(loggedError(thrown)).toMatchObject({ type: typeof thrown, message })
})

test('an error that throws when it is read is one as well', () => {
  const { proxy, revoke } = Proxy.revocable(new Error('no'), {})
  revoke()
  expect(loggedError(proxy)).toMatchObject({ type: 'object', message: 'no error but object' })
})
