-- The past of a job, as a claim says it: '' where it has waited since its submission, else `<attempt> <stalls>`.
local function past_of(job)
  local attempt, stalls, scheduled, retried = unpack(redis.call('HMGET', job, 'attempt', 'stalls', '1', 'retried'))
  if not attempt and not stalls and not scheduled and not retried then return '' end
  return (attempt or '1') .. ' ' .. (stalls or '0')
end
