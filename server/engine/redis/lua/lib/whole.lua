-- Writes of several steps. The mark `whole` is gone from the first one to the last: where a script comes to no end (a
-- command that it may not use any more, a mistake in it), what it did stays half done, and the mark stays gone until
-- mend.lua has put every job where its state says. What can be read between two writes has to be right all the same: a
-- job is listed before it is there, and there with all that it is made of.
--
-- Redis refuses the first write of a script when it is out of memory, unless that write can only free some. What keeps
-- up existing work starts with such a one and so goes through.

--@part begin
-- Begins to write what takes several steps.
--
-- Takes call, prefix.
-- Gives was_whole.
local was_whole = call('DEL', prefix .. 'whole')

--@part finish
-- Has written all of it. Where the store was not whole before, it is not now.
--
-- Takes call, prefix, was_whole.
if was_whole == 1 then call('SET', prefix .. 'whole', '1') end

--@part free_first
-- Goes before writes of which each is right by itself, and may be the last.
--
-- Takes call, prefix.
call('DEL', prefix .. 'nothing')
