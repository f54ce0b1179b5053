import { actions } from '../actions'
import { setPassword } from '../actions/setPassword'
import { restoreInit } from '../backups'
import { setDependencies } from '../dependencies'
import { setInterfaces } from '../interfaces'
import { sdk } from '../sdk'
import { versionGraph } from '../versions'

const requirePassword = sdk.setupOnInit(async (effects, kind) => {
  if (kind === 'install') {
    await sdk.action.createOwnTask(effects, setPassword, 'critical', {
      reason: 'Create the password of the first user',
    })
  }
})

export const init = sdk.setupInit(
  restoreInit,
  versionGraph,
  setInterfaces,
  setDependencies,
  actions,
  requirePassword,
)

export const uninit = sdk.setupUninit(versionGraph)
