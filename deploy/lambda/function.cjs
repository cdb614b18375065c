// What serverless.yml says of both functions: the runtime and architecture that their zips were built for, and as
// their environment the service's settings that are set here or in .env, and nothing else of this shell.
const { existsSync, readFileSync } = require('node:fs')
const { resolve } = require('node:path')

const built = resolve(__dirname, '../../build/lambda/built.json')
const setting = /^(UPSTASH_REDIS_REST_(URL|TOKEN)|KV_REST_API_(URL|TOKEN)|REDIS_URL|GAPLESS_\w+)$/
const stores = ['UPSTASH_REDIS_REST_URL', 'KV_REST_API_URL', 'REDIS_URL']
const ships = process.argv.some((word) => word === 'deploy' || word === 'package')

const keys = ['GAPLESS_JWT_SECRET', 'GAPLESS_JWKS_URL']
const yes = /^(true|t|yes|y|on|1)$/i

function refuse(sentence) {
  process.stderr.write(`${sentence}\n`)
  process.exit(1)
}

module.exports = () => {
  const environment = Object.fromEntries(
    Object.entries(process.env).filter(([name, value]) => value && setting.test(name))
  )
  if (ships && !existsSync(built)) {
    refuse('Nothing is built yet. Run: python deploy/lambda/build.py')
  }
  if (ships && !stores.some((name) => environment[name])) {
    refuse('No store is set. Put UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN, or REDIS_URL, into .env')
  }
  if (ships && !keys.some((name) => environment[name]) && !yes.test(environment.GAPLESS_PUBLIC)) {
    refuse('This service has no keys and everybody can reach it. Put GAPLESS_JWT_SECRET into .env, or GAPLESS_PUBLIC=true')
  }
  const made = existsSync(built) ? JSON.parse(readFileSync(built)) : { runtime: 'python3.12', architecture: 'arm64' }
  return { ...made, environment }
}
