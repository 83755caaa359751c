-- Redis refuses the first write of a script when it is out of memory, unless that write can only free some.
-- What ends or keeps up existing work starts with this one and so goes through.
call('DEL', prefix .. 'nothing')
