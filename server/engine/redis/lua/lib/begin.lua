-- Begins to write what takes several steps. `whole` is gone until lib/finish.lua puts it back: where a script comes to no end
-- (a command that it may not use any more, a mistake in it), what it did stays half done, and `whole` stays gone until
-- mend.lua has put every job where its state says. What can be read between two writes has to be right all the same: a job
-- is listed before it is there, and there with all that it is made of.
-- Redis refuses the first write of a script when it is out of memory, unless that write can only free some, as this one.
local was_whole = call('DEL', prefix .. 'whole')
