-- Redis refuses the first write of a script when it is out of memory, unless that write can only free some.
-- What keeps up existing work starts with this one and so goes through; whatever it does may be cut short behind each step.
call('DEL', prefix .. 'nothing')
