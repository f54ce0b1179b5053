import { utils } from '@start9labs/start-sdk'
import { dataDir } from '../constants'
import { sdk } from '../sdk'

// jd-manager does not listen to other machines without a user, so this action has to run before the first start.
export const setPassword = sdk.Action.withoutInput(
  'set-password',
  async () => ({
    name: 'Set Password',
    description: 'Create a new password for the user "admin"',
    warning: null,
    allowedStatuses: 'any',
    group: null,
    visibility: 'enabled',
  }),
  async ({ effects }) => {
    const password = utils.getDefaultString({
      charset: 'a-z,A-Z,0-9',
      len: 24,
    })
    await sdk.SubContainer.withTemp(
      effects,
      { imageId: 'jd-manager' },
      sdk.Mounts.of().mountVolume({
        volumeId: 'main',
        subpath: null,
        mountpoint: dataDir,
        readonly: false,
      }),
      'set-password',
      (container) =>
        container.execFail(
          ['jd-manager', 'set-password', 'admin', '--role', 'admin', '--stdin'],
          {
            env: { JD_MANAGER_DATA_DIR: dataDir },
            input: `${password}\n`,
            user: 'root',
          },
        ),
    )
    return {
      version: '1',
      title: 'Password set',
      message: 'Sign in as "admin" with this password. It is shown only once.',
      result: {
        type: 'single',
        value: password,
        masked: true,
        copyable: true,
        qr: false,
      },
    }
  },
)
