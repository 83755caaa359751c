-- Forgets a terminal job at once.
--
-- KEYS  1: prefix of the partition
-- ARGV  id
-- Reply 'removed', 'not_found' or 'not_finished'
-- Events none; publishes `gone removed`
--@include base
--@include counts
--@include read
--@include forget
local id = argument()
local status, expires = unpack(redis.call('HMGET', job_key(id), 'status', 'expires'))
if not status or is_gone(expires) then return 'not_found' end
if not expires then return 'not_finished' end
forget(id, 'removed')
store_counts()
return 'removed'
