-- Lists jobs, newest first by the order of submission. Looks at a bounded number of jobs and answers a bounded number of
-- bytes, so a page may hold fewer than asked for.
--
-- KEYS  1: prefix of the partition
-- ARGV  order below which to begin ('' at the newest), most jobs, number of types and types (any of them), number of
--       statuses and statuses (any), number of tags and tags as JSON (all; found in the text, so the reader checks again)
-- Reply { order at which the next page begins or '', { { id, row (lib/read.lua) }, … } }
-- Events none
--@include base
--@include read
local MOST_LOOKED_AT = 1000
local LARGEST_REPLY = 4194304

local before, limit = argument(), tonumber(argument())
local function set_of_arguments()
  local amount, set = tonumber(argument()), {}
  for _ = 1, amount do set[argument()] = true end
  return amount > 0 and set
end
local types, statuses = set_of_arguments(), set_of_arguments()
local tags = {}
local number_of_tags = tonumber(argument())
for n = 1, number_of_tags do tags[n] = argument() end

local function matches(id)
  local state, kind, born = unpack(call('HMGET', job_key(id), 'state', 'kind', 'born'))
  local seq, status = live_state(state)
  if not seq then return false end
  if status == 'cancelling' then status = 'processing' end
  if types and not types[kind_of(kind).type] or statuses and not statuses[status] then return false end
  for _, tag in ipairs(tags) do
    if not string.find(born, tag, 1, true) then return false end
  end
  return true
end

local found, bytes, looked_at = {}, 0, 0
while looked_at < MOST_LOOKED_AT do
  local highest = before == '' and '+inf' or '(' .. before
  local entries = call('ZREVRANGEBYSCORE', prefix .. 'jobs', highest, '-inf', 'WITHSCORES', 'LIMIT', 0, 100)
  for at = 1, #entries, 2 do
    local id, order = entries[at], entries[at + 1]
    if matches(id) then
      -- Known only now that a further job exists: the page before it ends here.
      if #found == limit or bytes > LARGEST_REPLY then return { before, found } end
      local row = read_job(id)
      bytes = bytes + #row[2] + #row[3]
      found[#found + 1] = { id, row }
    end
    before = order
  end
  if #entries < 200 then return { '', found } end
  looked_at = looked_at + 100
end
return { before, found }
