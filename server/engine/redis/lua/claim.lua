-- Claims jobs where there is nothing to settle. Works when Redis is out of memory.
--
-- KEYS  1: prefix of the partition
-- ARGV  number of claims, then of each: lib/claim.lua
-- Reply { reply of each claim }
-- Events claimed
--@include base
--@include counts
--@include events
--@include fence
--@include pools
--@include leases
--@include claim
allow_when_out_of_memory()
local claims = claim_all()
store_counts()
return claims
