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

local function store_counts()
  for type, changes in pairs(count_changes) do
    changes.queued = nil
    for status, change in pairs(changes) do
      local field = status .. ' ' .. type
      if change ~= 0 and call('HINCRBY', prefix .. 'counts', field, change) == 0 then
        call('HDEL', prefix .. 'counts', field)
      end
    end
  end
end
