-- Forgets a terminal job at once.
--
-- KEYS  1: prefix of the partition
-- ARGV  id
-- Reply 'removed', 'not_found' or 'not_finished'
-- Events none; publishes `gone removed`
--@include base
--@include states
--@include kinds
--@include counts
--@include read
--@include forget
local id = ARGV[1]
local seq, status = live_state(call('HGET', job_prefix .. id, 'state'))
if not seq then return 'not_found' end
if not TERMINAL[status] then return 'not_finished' end
--@include begin
forget(id, 'removed')
--@include store_counts
--@include finish
return 'removed'
