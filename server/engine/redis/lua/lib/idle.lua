-- Whether a worker may be idle somewhere (lib/pools.lua): nearly never where there is much to do.
local is_anybody_idle = call('EXISTS', prefix .. 'waiting') == 1
