-- Stores what was counted.
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
