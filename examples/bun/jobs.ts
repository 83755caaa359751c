import { defineJob } from 'jobcast'
import { z } from 'zod'

export const primes = defineJob({
  type: 'primes',
  payload: z.object({ below: z.int().min(100).max(50_000_000) }),
  result: z.object({ count: z.int(), largest: z.int() }),
  // It computes: in a thread of its own it holds nobody up.
  isolate: new URL('./primes.ts', import.meta.url),
})

export const jobs = [primes]
