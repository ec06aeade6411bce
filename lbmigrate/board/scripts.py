"""What Redis does in one step, as scripts in Lua. What the keys hold is said in `sorted_sets`.

The keys of every script are: board, about, versions, next, meanwhile.
"""

INTO = """
local function ghost(member)
  return '~' .. redis.sha1hex(redis.call('HGET', KEYS[2], 'salt') .. member)
end
local function into(member, score, version, showing)
  local hidden = ghost(member)
  local known = redis.call('HGET', KEYS[3], hidden)
  if known and known > version then return end  -- what was published already is newer
  redis.call('HSET', KEYS[3], hidden, version)
  redis.call('ZREM', KEYS[1], showing == 'shown' and hidden or member)
  if showing == 'gone' then redis.call('ZREM', KEYS[1], hidden)
  else redis.call('ZADD', KEYS[1], score, showing == 'shown' and member or hidden) end
end
local function keep()
  redis.call('HSET', KEYS[2], 'filled', redis.call('EXISTS', KEYS[1]))
  local left = redis.call('PTTL', KEYS[2])
  if left > 0 then for at = 1, 3, 2 do redis.call('PEXPIRE', KEYS[at], left) end end
end
local function run()
  return string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
end
"""
PUBLISH = f"""{INTO}
local generation = redis.call('HGET', KEYS[2], 'generation')
if (generation or '') ~= ARGV[1] then return 'outdated' end
local building = redis.call('HEXISTS', KEYS[2], 'building') == 1
if generation == false and not building then return 'unbuilt' end
local done = 'done'
if generation and redis.call('HGET', KEYS[2], 'filled') == '1' and redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HDEL', KEYS[2], 'generation')  -- nobody believes it any more until it is rebuilt
  generation, done = false, 'lost'
end
for at = 2, #ARGV, 4 do
  if generation then into(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]) end
  if building then
    local known = redis.call('HGET', KEYS[5], ARGV[at])
    if not known or cjson.decode(known)[2] < ARGV[at + 2] then
      redis.call('HSET', KEYS[5], ARGV[at], cjson.encode({{ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]}}))
    end
  end
end
if generation then keep() end
return done
"""
OURS = """
local function ours(at)
  local kind = redis.call('TYPE', KEYS[at])['ok']
  return kind == 'none' or kind == ((at == 1 or at == 4) and 'zset' or 'hash')
end
"""
DROP = f"""{OURS}
for at = 1, 5 do if ours(at) then redis.call('DEL', KEYS[at]) end end
"""
BEGIN = f"""{OURS}
for at = 1, 5 do
  if not ours(at) then return redis.error_reply('WRONGTYPE ' .. KEYS[at] .. ' is not of the boards') end
end
redis.call('DEL', KEYS[4], KEYS[5])
redis.call('HSETNX', KEYS[2], 'salt', ARGV[2])
redis.call('HSET', KEYS[2], 'building', ARGV[1])
return redis.call('HGET', KEYS[2], 'salt')
"""
FINISH = f"""{INTO}
if redis.call('HGET', KEYS[2], 'building') ~= ARGV[1] then return redis.error_reply('another rebuild took over') end
redis.call('DEL', KEYS[3])
if redis.call('EXISTS', KEYS[4]) == 1 then redis.call('RENAME', KEYS[4], KEYS[1]) else redis.call('DEL', KEYS[1]) end
local meanwhile = redis.call('HGETALL', KEYS[5])
local members = {{}}
for at = 1, #meanwhile, 2 do
  local told = cjson.decode(meanwhile[at + 1])
  into(meanwhile[at], told[1], told[2], told[3])
  members[#members + 1] = meanwhile[at]
end
redis.call('DEL', KEYS[5])
redis.call('HDEL', KEYS[2], 'building')
redis.call('HSET', KEYS[2], 'generation', ARGV[1], 'run', run())
if ARGV[2] == '' then redis.call('PERSIST', KEYS[2]) else redis.call('EXPIREAT', KEYS[2], ARGV[2]) end
keep()
return members
"""
ABOVE = f"""{INTO}
local about = redis.call('HMGET', KEYS[2], 'generation', 'run', 'filled')
if not about[1] or about[2] ~= run() then return false end
if redis.call('EXISTS', KEYS[1]) == 0 then return about[3] == '0' and 0 or false end
return redis.call('ZCOUNT', KEYS[1], '(' .. ARGV[1], '+inf')
"""
