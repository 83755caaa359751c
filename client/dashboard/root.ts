// What is built lies in a folder of its own, `assets/`; the dev server serves these files as they lie.
const above = import.meta.env.DEV ? '.' : '..'
const here = import.meta.url

/**
 * Where the page begins, and with it the server's API: whatever path a proxy put before both, without a slash at its end.
 * It follows from where the browser found this module, since nothing else knows it where a proxy does not tell.
 */
export const ROOT = new URL(above, here).href.replace(/\/$/, '')
