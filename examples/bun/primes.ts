import type { JobContext } from 'jobcast'

/** Counts by division, which takes its time. */
export function run({ below }: { below: number }, job: JobContext) {
  const found: number[] = []
  for (let number = 2; number < below; number++) {
    if (number % 1000 === 0) job.progress((100 * number) / below, `${found.length} primes so far`)
    if (isPrime(number, found)) found.push(number)
  }
  return { count: found.length, largest: found.at(-1) ?? 2 }
}

function isPrime(number: number, smaller: readonly number[]): boolean {
  for (const prime of smaller) {
    if (prime * prime > number) return true
    if (number % prime === 0) return false
  }
  return true
}
