/** For JOBCAST_JOBS. */
import { mailSchema } from './mail.mjs'

export default [{ type: 'mail', payload: mailSchema, run: async () => ({ sent: true }) }]
