// Preloaded (NODE_OPTIONS=--import=…): a clock that is wrong by so many ms from the start, or by so many more at each SIGUSR2.
const jumpMs = Number(process.env.JOBCAST_TEST_CLOCK_MS)
let wrongByMs = 0
const RealDate = Date
const realNow = Date.now

function jump() {
  wrongByMs += jumpMs
  Date.now = () => realNow() + wrongByMs
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length === 0 ? [Date.now()] : args, newTarget),
  })
}

if (process.env.JOBCAST_TEST_CLOCK_AT === 'start') jump()
else process.on('SIGUSR2', jump)
