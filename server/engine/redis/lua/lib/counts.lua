-- Jobs by status and type. Changes are summed up and stored once, at the end of the script. Queued jobs are not
-- counted: their queues know their own length.
local count_changes = {}

local function count(status, type, change)
  local of_type = count_changes[type]
  if not of_type then
    of_type = {}
    count_changes[type] = of_type
  end
  of_type[status] = (of_type[status] or 0) + change
end

local function store_count(field, change)
  local counts = prefix .. 'counts'
  if call('HINCRBY', counts, field, change) == 0 then call('HDEL', counts, field) end
end

-- Many counts are read, changed and written together: a call for each would cost more.
local function store_many_counts(fields, changes)
  local counts = prefix .. 'counts'
  local before = call('HMGET', counts, unpack(fields))
  local changed, emptied = {}, {}
  for n, field in ipairs(fields) do
    local count_after = (before[n] or 0) + changes[n]
    if count_after == 0 then
      emptied[#emptied + 1] = field
    else
      changed[#changed + 1] = field
      changed[#changed + 1] = digits(count_after)
    end
  end
  if #changed > 0 then call('HSET', counts, unpack(changed)) end
  if #emptied > 0 then call('HDEL', counts, unpack(emptied)) end
end

local FEW_COUNTS = 4

local function store_counts()
  local fields, changes = {}, {}
  for type, of_type in pairs(count_changes) do
    of_type.queued = nil
    for status, change in pairs(of_type) do
      if change ~= 0 then
        fields[#fields + 1] = status .. ' ' .. type
        changes[#changes + 1] = change
      end
    end
  end
  if #fields > FEW_COUNTS then return store_many_counts(fields, changes) end
  for n, field in ipairs(fields) do store_count(field, changes[n]) end
end
