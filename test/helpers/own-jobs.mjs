// A user's own module of job types, as JOBCAST_JOBS loads it: plain objects and any Standard Schema.
const number = {
  '~standard': {
    version: 1,
    vendor: 'hand-written',
    validate: (value) =>
      typeof value?.number === 'number'
        ? { value }
        : { issues: [{ message: 'must be a number', path: ['number'] }] },
  },
}

/** Leaves something behind that fails later, on nobody's watch. */
function explode(how) {
  if (how === 'rejection') Promise.reject(new Error('a forgotten promise'))
  else
    setTimeout(() => {
      throw new Error('a forgotten timer')
    }, 0)
  return how
}

export default [
  { type: 'double', payload: number, run: ({ number: given }) => given * 2 },
  { type: 'explode', run: ({ how }) => explode(how) },
]
