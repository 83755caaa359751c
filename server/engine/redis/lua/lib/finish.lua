-- Has written all that lib/begin.lua began. Where it was not whole before, it is not now.
if was_whole == 1 then call('SET', prefix .. 'whole', '1') end
