/** Called once, when everything that the event loop had to hand in this round has been handled. */
interface TickEnder {
  tickEnd(): void
}

let enders: TickEnder[] = []

/** One callback of the event loop for all: where an event has thousands of readers, one each would cost. */
export function onTickEnd(ender: TickEnder): void {
  enders.push(ender)
  if (enders.length === 1) setImmediate(endTick)
}

function endTick(): void {
  const ending = enders
  // Who asks from now on is called in the next round.
  enders = []
  for (const ender of ending) ender.tickEnd()
}
