-- Tells where queued jobs stand in line.
--
-- KEYS  1: prefix of the partition
-- ARGV  of each group of jobs: their type, or '' where it is not known; number of jobs; ids
-- Reply { now, … }, and of each group, or where the type was not known of each job, the type ('' where there is no such
--       job), 1 where it is paused or 0, and the ranks in its queue (0 is next, '-' not queued), with spaces in between
-- Events none
--@include base
--@include read
--@include pools
local reply = { now_text }

local function add(type, first, last)
  local queue, ranks = prefix .. 'queue:' .. type, {}
  for at = first, last do ranks[#ranks + 1] = call('ZRANK', queue, ARGV[at]) or '-' end
  local status = parse_runners(call('HGET', prefix .. 'routes', type))
  reply[#reply + 1] = type
  reply[#reply + 1] = status == 'paused' and 1 or 0
  reply[#reply + 1] = table.concat(ranks, ' ')
end

local at = 1
while at < #ARGV do
  local type, first, last = ARGV[at], at + 2, at + 1 + ARGV[at + 1]
  if type ~= '' then
    add(type, first, last)
  else
    for one = first, last do add(type_of(call('HGET', job_prefix .. ARGV[one], 'kind')) or '', one, one) end
  end
  at = last + 1
end
return reply
