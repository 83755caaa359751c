-- Runs in place, with `first_due` and `first_due_id`, when what is scheduled was stored: tells where it is due before
-- everything else, so that it is promoted in time whatever becomes of the process that had it stored.
if call('ZRANGE', prefix .. 'scheduled', 0, 0)[1] == first_due_id then
  try('PUBLISH', prefix .. 'due', digits(first_due - now))
end
