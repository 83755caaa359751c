/** Does something `amount` times, so many at a time. */
export async function inLanes(amount, lanes, work) {
  let next = 0
  const lane = async () => {
    while (next < amount) await work(next++)
  }
  await Promise.all(Array.from({ length: lanes }, lane))
}
