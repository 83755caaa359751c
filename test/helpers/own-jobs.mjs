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

export default [{ type: 'double', payload: number, run: ({ number: given }) => given * 2 }]
