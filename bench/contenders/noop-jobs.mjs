/** A handler that does nothing, for JOBCAST_JOBS. */
export default [{ type: 'noop', run: async () => ({ ok: true }) }]
