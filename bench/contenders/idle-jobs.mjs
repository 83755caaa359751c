/** For JOBCAST_JOBS: as many job types as TYPES says, which do nothing. */
export default Array.from({ length: Number(process.env.TYPES) }, (_, n) => ({
  type: `type-${n}`,
  run: async () => ({ ok: true }),
}))
