// As many job types as MANY_JOBS says, as JOBCAST_JOBS loads them.
export default Array.from({ length: Number(process.env.MANY_JOBS) }, (_, n) => ({
  type: `type-${n}`,
  run: () => null,
}))
