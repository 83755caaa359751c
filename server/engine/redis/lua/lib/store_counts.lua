-- Stores what was counted.
do
  local runs, texts = prefix .. 'runs', {}
  for type, change in pairs(run_changes) do
    if change ~= 0 then
      local text = texts[change]
      if not text then
        text = digits(change)
        texts[change] = text
      end
      call('HINCRBY', runs, type, text)
    end
  end
  for field, change in pairs(count_changes) do
    if change ~= 0 then call('HINCRBY', prefix .. 'counts', field, digits(change)) end
  end
end
