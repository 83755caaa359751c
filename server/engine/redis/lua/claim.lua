-- Claims jobs where there is nothing to settle. Works when Redis is out of memory.
--
-- KEYS  1: prefix of the partition
-- ARGV  number of claims, then of each: lib/claims.lua
-- Reply what lib/claims.lua says of each claim
-- Events claimed
--@include base
--@include states
--@include fence
--@include counts
--@include pools
--@include leases
--@include begin
local arguments, at, reply = ARGV, 0, {}
--@include claims
--@include store_counts
--@include finish
return reply
