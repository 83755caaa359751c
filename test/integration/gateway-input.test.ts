import { afterEach, describe, expect, test } from 'vitest'
import { type Gateway, openGateway, refusal } from '../helpers/gateway.ts'
import { until } from '../helpers/until.ts'

let gateway: Gateway
afterEach(async () => {
  await gateway.close()
  expect(gateway.seen('failure')).toEqual([])
})

describe('origins', () => {
  const FOREIGN = 'https://evil.example'
  const ALLOWED = 'https://app.example'
  const keys = [{ name: 'reader', role: 'read', key: 'read-key' }] as const

  test.each([
    ['without keys', {}],
    ['with keys', { keys }],
  ])(
    '%s, a WebSocket of a foreign page is refused, and one of an allowed page is not',
    async (_name, options) => {
      gateway = await openGateway({ ...options, allowedOrigins: [ALLOWED] })
      const foreign = [
        FOREIGN,
        'null',
        `${ALLOWED}.evil.example`,
        ALLOWED.replace('https', 'http'),
        `${ALLOWED}:444`,
      ]
      for (const origin of foreign) {
        const answer = await refusal(gateway.connect('', { headers: { origin } }))
        expect(answer).toMatchObject({ status: 403, body: { code: 'forbidden' } })
      }
      await gateway.connect('', { headers: { origin: ALLOWED } }).opened()
      await until(() => gateway.hub.info().sockets === 1)
    },
  )

  test('without keys, a WebSocket to a foreign name is refused, though its page is of that name', async () => {
    gateway = await openGateway()
    const headers = { host: 'evil.example', origin: 'http://evil.example', 'sec-fetch-site': 'same-origin' }
    const answer = await refusal(gateway.connect('', { headers }))
    expect(answer).toMatchObject({ status: 403, body: { code: 'forbidden' } })
    expect(gateway.seen('origin.refused')).toMatchObject([{ host: 'evil.example' }])
  })
})

describe('frames that break the WebSocket protocol', () => {
  const PING = Buffer.from('{"op":"ping"}')
  const masked = (head: number) => Buffer.concat([Buffer.from([head, 0x80 | PING.length, 0, 0, 0, 0]), PING])

  test.each([
    ['compressed, which was never agreed on', masked(0xc1), 1002],
    ['not masked', Buffer.concat([Buffer.from([0x81, PING.length]), PING]), 1002],
    ['of an unknown kind', masked(0x83), 1002],
    ['the rest of a frame that never began', masked(0x80), 1002],
    ['a ping in pieces', masked(0x09), 1002],
    ['of a length beyond all reason', Buffer.from([0x81, 0xff, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), 1009],
  ])('%s', async (_name, bytes, code) => {
    gateway = await openGateway()
    const run = await gateway.run()
    const client = await gateway.connect(`?job=${run.jobId}`).opened()
    await client.next('subscribed')
    client.socket.write(bytes)
    expect((await client.closed).code).toBe(code)
    await until(() => gateway.hub.info().sockets === 0 && gateway.hub.info().subscriptions === 0)
    expect(gateway.seen('gateway.closed')).toEqual([{ transport: 'socket', code }])
  })
})
