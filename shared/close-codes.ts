/**
 * WebSocket close codes that Jobcast itself sends (RFC 6455 section 7.4; 4000–4999 are private). A constant each, so that a
 * page bundles those only that the client knows. Imports nothing.
 */
export const normal = 1000
export const going_away = 1001
export const restart = 1012
export const overloaded = 1013
export const no_pong = 4000
export const slow_consumer = 4001
export const session_too_old = 4002
export const protocol_error = 4500
export const idle = 4501
export const too_many_errors = 4502
export const unauthorized = 4503
