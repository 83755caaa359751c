-- Jobs by status and type. Changes are summed up and stored once, at the end of the script. Queued jobs are not
-- counted: their queues know their own length.
local count_changes = {}

local function count(status, type, change)
  if status == 'queued' then return end
  local field = status .. ' ' .. type
  count_changes[field] = (count_changes[field] or 0) + change
end

local function store_counts()
  for field, change in pairs(count_changes) do
    if change ~= 0 and redis.call('HINCRBY', prefix .. 'counts', field, change) == 0 then
      redis.call('HDEL', prefix .. 'counts', field)
    end
  end
end
