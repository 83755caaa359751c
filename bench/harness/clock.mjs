/** ms on a clock that all processes of this machine share: it counts from when the machine started. */
export function nowMs() {
  return Number(process.hrtime.bigint()) / 1e6
}
