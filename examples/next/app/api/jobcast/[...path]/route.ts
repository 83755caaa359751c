import { createHandler } from 'jobcast/next'

export const { GET, POST, PUT, DELETE } = createHandler({
  // Left out, both of them, while `jobcast dev` runs on this machine.
  url: process.env.JOBCAST_URL,
  key: process.env.JOBCAST_KEY,
  // Your sign-in goes here: null is 401.
  authorize: () => ({ submit: ['landscape'], watch: 'any' }),
})
