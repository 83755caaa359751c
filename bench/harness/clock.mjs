/** A clock that all processes of a machine share: it counts from when the machine started. */

/** Now, as text that goes through JSON. */
export function now() {
  return process.hrtime.bigint().toString()
}

export function microsecondsSince(at) {
  return Number(process.hrtime.bigint() - BigInt(at)) / 1000
}
