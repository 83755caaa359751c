// Preloaded (NODE_OPTIONS=--import=…): a clock that is wrong by so many ms, from the start or from SIGUSR2 on.
const wrongBy = Number(process.env.JOBCAST_TEST_CLOCK_MS)
const RealDate = Date
const realNow = Date.now

function jump() {
  Date.now = () => realNow() + wrongBy
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length === 0 ? [Date.now()] : args, newTarget),
  })
}

if (process.env.JOBCAST_TEST_CLOCK_AT === 'start') jump()
else process.once('SIGUSR2', jump)
