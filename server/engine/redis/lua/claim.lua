-- Claims jobs where there is nothing to settle. Works when Redis is out of memory.
--
-- KEYS  1: prefix of the partition
-- ARGV  number of claims, then of each what lib/claims.lua says
-- Reply what lib/claims.lua says of each claim
-- Events claimed
--@include base
--@include state
--@include counts
--@run whole.begin
local arguments, at, reply = ARGV, 0, {}
--@run claims.claims
--@run counts.store
--@run whole.finish
return reply
