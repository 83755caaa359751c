/** ms on a clock that all processes of this machine share. */
export function nowMs() {
  return Number(process.hrtime.bigint()) / 1e6
}
