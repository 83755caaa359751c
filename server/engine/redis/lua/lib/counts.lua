-- Jobs by status and type. Changes are summed up and stored once, at the end of the script (lib/store_counts.lua).
-- Queued jobs are not counted: their queues know their own length. Most settlements change both how many jobs of a type
-- run and how many are completed, so the two share a number: 10^12 for each that runs, one for each that is completed.
local A_RUN = 1000000000000
local run_changes, count_changes = {}, {}

local function count(status, type, change)
  if status == 'completed' then
    run_changes[type] = (run_changes[type] or 0) + change
  elseif status == 'processing' then
    run_changes[type] = (run_changes[type] or 0) + change * A_RUN
  elseif status ~= 'queued' then
    local field = status .. ' ' .. type
    count_changes[field] = (count_changes[field] or 0) + change
  end
end
