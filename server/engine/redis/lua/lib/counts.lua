-- Jobs by status and type. Changes are summed up and stored once, at the end of the script (lib/store_counts.lua).
-- Queued jobs are not counted: their queues know their own length.
local count_changes = {}

local function count(status, type, change)
  local of_type = count_changes[type]
  if not of_type then
    of_type = {}
    count_changes[type] = of_type
  end
  of_type[status] = (of_type[status] or 0) + change
end
