import { describe, expect, test } from 'vitest'
import { type LossyNumber, lossyNumbers } from '../../server/http/json-body.ts'

function lossy(text: string): readonly LossyNumber[] {
  JSON.parse(text)
  return lossyNumbers(text, Buffer.from(text))
}

const pathsIn = (text: string) => lossy(text).map(({ path }) => path.join('.'))

describe('numbers that JavaScript would see as others', () => {
  test.each([
    '1e400',
    '-1e400',
    '1E+400',
    '1.5e0309',
    '1e99999999999999999999',
    `1${'0'.repeat(309)}`,
    `1${'0'.repeat(300)}e99`,
    '9007199254740993',
    '-9007199254740993',
    '9223372036854775807',
    // 2^63 itself is a double, but its digits are written as others.
    '9223372036854775808',
    '12345678901234567890',
    '12345678901234567890.0',
    '1234567890.1234567890e10',
    '1.2345678901234567890e19',
    '123456789012345678900e-1',
    '12345678901234567e+02',
  ])('%s is one', (number) => {
    expect(pathsIn(`{"a":[0,${number}]}`)).toEqual(['a.1'])
    expect(pathsIn(`[${number}]`)).toEqual(['0'])
    expect(pathsIn(`{"a":\n${number} }`)).toEqual(['a'])
  })

  test.each([
    '0',
    '-0',
    '-0.0',
    '0e999',
    '1.0',
    '1e3',
    '1E+2',
    '100e-2',
    '9007199254740991',
    '9007199254740992',
    '9007199254740992.0',
    '1234567890123456e-3',
    '123456789012345680000',
    '1e22',
    '1e23',
    '1e308',
    '1.7976931348623157e308',
    '5e-324',
    '1e-400',
    '0.1',
    '0.30000000000000004',
    '0.1234567890123456789',
    '3.141592653589793238462643',
    '9007199254740993.5',
    '12345678901234567890e-19',
  ])('%s is none', (number) => {
    expect(lossy(`{"a":[0,${number}]}`)).toEqual([])
  })

  test('each is named by its path, in whatever is around it', () => {
    const id = '9223372036854775807'
    expect(pathsIn(`{"items":[{},"x",[1],{"name":"a","id":${id}}]}`)).toEqual(['items.3.id'])
    expect(pathsIn(`[[[],[${id}]],{"a":{},"b":[],"c":${id}},${id}]`)).toEqual(['0.1.0', '1.c', '2'])
    expect(pathsIn(`{ "a" : { } , "b" :\n[ "]" , { "}" : ${id} } ] }`)).toEqual(['b.1.}'])
    expect(pathsIn(`{"\\u00e4\\"b\\\\":${id},"ü":{"x":1e400}}`)).toEqual(['ä"b\\', 'ü.x'])
    const deep = `${'['.repeat(5000)}${id}${']'.repeat(5000)}`
    expect(lossy(deep)[0]?.path).toHaveLength(5000)
  })

  test('strings and names are no numbers', () => {
    expect(lossy('{"9223372036854775807":"9223372036854775807","1e400":["1e400","\\"1e400"]}')).toEqual([])
  })

  test('the message says what to do', () => {
    expect(lossy('[9007199254740993]')[0]?.message).toBe('would become 9007199254740992: send it as a string')
    expect(lossy('[1e400]')[0]?.message).toMatch(/send it as a string/)
  })

  test('agrees with what JavaScript does to every whole number, however it is written', () => {
    let seed = 7
    const random = (below: number) => {
      seed = (seed * 48_271) % 2_147_483_647
      return seed % below
    }
    for (let round = 0; round < 5000; round++) {
      const digits = `${1 + random(9)}${Array.from({ length: random(24) }, () => random(10)).join('')}`
      const power = random(6)
      const cut = random(digits.length)
      const point = cut === 0 ? digits : `${digits.slice(0, -cut)}.${digits.slice(-cut)}`
      const written = `${random(2) === 0 ? '-' : ''}${point}e${cut + power}`
      const exact = BigInt(digits) * 10n ** BigInt(power)
      const kept = Number(written)
      // What JSON.stringify writes, as the whole number that it is.
      const [mantissa = '', exponent = '0'] = String(Math.abs(kept)).split('e')
      const [whole = '', fraction = ''] = mantissa.split('.')
      const stays = BigInt(whole + fraction) * 10n ** BigInt(Number(exponent) - fraction.length) === exact
      expect([written, lossy(`[${written}]`).length === 0]).toEqual([written, stays])
    }
  })

  test('hostile texts take time that grows with their length, not with its square', () => {
    const hostile: readonly ((size: number) => string)[] = [
      (size) => `["${'.'.repeat(size)}"]`,
      (size) => `["${'.1'.repeat(size / 2)}"]`,
      (size) => `["1e${'1'.repeat(size)}x"]`,
      (size) => `["${'1e111 '.repeat(size / 6)}"]`,
      (size) => `["${'\\\\'.repeat(size / 4)}1e400 "]`,
      (size) => `[1.${'1'.repeat(size)}]`,
      (size) => `[${'1.1e1,'.repeat(size / 6)}0]`,
    ]
    const cpuOf = (text: string) => {
      const bytes = Buffer.from(text)
      const before = process.cpuUsage()
      lossyNumbers(text, bytes)
      const { user, system } = process.cpuUsage(before)
      return user + system
    }
    for (const text of hostile) {
      const small = Math.max(500, cpuOf(text(100_000)))
      // Forty times as long: as many times the work, and twelve times as much again for what is noise; squared it is 1,600.
      expect(cpuOf(text(4_000_000))).toBeLessThan(480 * small)
    }
  })

  test('a hundred are enough', () => {
    expect(lossy(`[${Array.from({ length: 1000 }, () => '1e400').join(',')}]`)).toHaveLength(100)
  })
})
