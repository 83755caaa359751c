// What a handler sees of a payload that its schema has made something of; the same in process and in a thread.
import { isMainThread } from 'node:worker_threads'

export class Money {
  #cents

  static parse(text) {
    const money = new Money()
    money.#cents = Math.round(Number(text) * 100)
    return money
  }

  get cents() {
    return this.#cents
  }
}

export function run({ site, price, greet, bytes, at, tags, big }) {
  return {
    isMainThread,
    definitionsLoaded: globalThis.classyJobs === true,
    ...(site && { site: [site instanceof URL, site.hostname] }),
    ...(price && { price: [price instanceof Money, price.cents] }),
    ...(greet && { greeting: greet('you') }),
    ...(bytes && { bytes: [Buffer.isBuffer(bytes), bytes.toString()] }),
    ...(at && { at: [at instanceof Date, at.getTime()] }),
    ...(tags && { tags: [tags instanceof Set, ...tags] }),
    ...(big && { big: String(big + 1n) }),
  }
}
