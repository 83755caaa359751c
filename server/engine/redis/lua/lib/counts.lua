-- Jobs by status and type. Changes are summed up and stored once, at the end of the script. Queued jobs are not counted:
-- their queues know their own length. Most settlements change both how many jobs of a type run and how many are completed,
-- so the two share a number: $A_RUN for each that runs, one for each that is completed.
--
-- Gives run_changes, count_changes, count.
local run_changes, count_changes = {}, {}

local function count(status, type, change)
  if status == 'completed' then
    run_changes[type] = (run_changes[type] or 0) + change
  elseif status == 'processing' then
    run_changes[type] = (run_changes[type] or 0) + change * $A_RUN
  elseif status ~= 'queued' then
    local field = status .. ' ' .. type
    count_changes[field] = (count_changes[field] or 0) + change
  end
end

--@part store
-- Stores what was counted.
--
-- Takes call, prefix, digits, run_changes, count_changes.
do
  local runs = prefix .. 'runs'
  -- Many types change by the same.
  local last_change, text
  for type, change in pairs(run_changes) do
    if change ~= 0 then
      if change ~= last_change then last_change, text = change, digits(change) end
      call('HINCRBY', runs, type, text)
    end
  end
  for field, change in pairs(count_changes) do
    if change ~= 0 then call('HINCRBY', prefix .. 'counts', field, digits(change)) end
  end
end
