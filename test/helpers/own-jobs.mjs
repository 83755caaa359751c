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

/** Says a text wherever a handler may say something. */
function echo({ text, fails }, ctx) {
  ctx.log(text)
  ctx.chunk({ [text]: text })
  ctx.progress(50, text)
  if (fails) throw new Error(text)
  return { [text]: text }
}

export default [
  { type: 'double', payload: number, run: ({ number: given }) => given * 2 },
  { type: 'echo', maxAttempts: 1, run: echo },
  { type: 'explode', run: ({ how }) => explode(how) },
]
