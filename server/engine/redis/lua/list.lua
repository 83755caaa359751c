-- Lists jobs, newest first by the order of submission. Looks at a bounded number of jobs and answers a bounded number of
-- bytes, so a page may hold fewer than asked for.
--
-- KEYS  1: prefix of the partition
-- ARGV  the job behind which to begin ('' at the newest): its order, its id; the job before which to end (''): its order,
--       its id; most jobs; 'bodies' or '' (payloads and results are not wanted); number of types and types (any of them), number of
--       statuses and statuses (any), number of tags and tags as JSON (all; found in the text, so the reader checks again)
-- Reply { `<order> <id>` of the job behind which the next page begins or '', { { id, row (lib/read.lua) }, … },
--       `<order> <id>` of the newest job or '' }
-- Events none
--@include base
--@include read
local MOST_LOOKED_AT = 1000
local LARGEST_REPLY = 4194304

local arguments, at = ARGV, 6
local before, before_id, since, since_id = arguments[1], arguments[2], arguments[3], arguments[4]
local limit, without_bodies = tonumber(arguments[5]), arguments[6] == ''
local function next_list()
  local values = {}
  for n = 1, tonumber(arguments[at + 1]) do values[n] = arguments[at + 1 + n] end
  at = at + 1 + #values
  return values
end
-- Returns false where any will do.
local function next_set()
  local set = {}
  for _, value in ipairs(next_list()) do set[value] = true end
  return next(set) and set or false
end
local types, statuses, tags = next_set(), next_set(), next_list()

local function matches(id)
  local state, kind, born = unpack(call('HMGET', job_prefix .. id, 'state', 'kind', 'born'))
  local seq, status = live_state(state)
  if not seq then return false end
  if status == 'cancelling' then status = 'processing' end
  if types and not types[type_of(kind)] or statuses and not statuses[status] then return false end
  for _, tag in ipairs(tags) do
    if not string.find(born, tag, 1, true) then return false end
  end
  return true
end

local jobs = prefix .. 'jobs'
local newest_id, newest_order = unpack(call('ZREVRANGE', jobs, 0, 0, 'WITHSCORES'))
local newest = newest_id and newest_order .. ' ' .. newest_id or ''
since = tonumber(since) or 0
-- Orders begin anew where everything was deleted.
if newest_order and tonumber(newest_order) < since then since = 0 end
local first = 0
if before ~= '' then
  local rank = call('ZREVRANK', jobs, before_id)
  -- Where that job is gone, behind all that were submitted later: those that shared its order come once more.
  first = rank and rank + 1 or call('ZCOUNT', jobs, '(' .. before, '+inf')
end
local page_order, page_id = before, before_id
local found, bytes, looked_at = {}, 0, 0
while looked_at < MOST_LOOKED_AT do
  local entries = call('ZREVRANGE', jobs, first + looked_at, first + looked_at + 99, 'WITHSCORES')
  for at = 1, #entries, 2 do
    local id, order = entries[at], entries[at + 1]
    if tonumber(order) < since or tonumber(order) == since and id <= since_id then return { '', found, newest } end
    local is_earlier = order ~= before or id < before_id
    if is_earlier and matches(id) then
      -- Known only now that a further job exists: the page before it ends here.
      if #found == limit or bytes > LARGEST_REPLY then
        return { page_order .. ' ' .. page_id, found, newest }
      end
      local row = read_job(id, without_bodies)
      bytes = bytes + #row[2] + #row[3]
      found[#found + 1] = { id, row }
    end
    page_order, page_id = order, id
  end
  if #entries < 200 then return { '', found, newest } end
  looked_at = looked_at + 100
end
return { page_order .. ' ' .. page_id, found, newest }
