-- Stores what was counted. Most settlements change both how many jobs of a type run and how many are completed, so
-- the two share a number: 10^12 for each that runs and one for each that is completed.
do
  local A_RUN = 1000000000000
  local counts = prefix .. 'counts'
  for type, of_type in pairs(count_changes) do
    local runs = (of_type.processing or 0) * A_RUN + (of_type.completed or 0)
    if runs ~= 0 then call('HINCRBY', counts, 'runs ' .. type, digits(runs)) end
    of_type.processing, of_type.completed, of_type.queued = nil, nil, nil
    for status, change in pairs(of_type) do
      if change ~= 0 then call('HINCRBY', counts, status .. ' ' .. type, digits(change)) end
    end
  end
end
