"""Random furnished rooms, rendered with depth on a CPU: the training and validation scenes of the embedded models.

World of a room: metres, y up, the floor at y = 0, the origin at the floor's centre. A piece of furniture faces its own +z; an
``angle`` turns it about +y, so that its front points to ``(sin angle, 0, cos angle)``. Cameras are OpenGL camera-to-world
matrices (x right, y up, looking down -z).

    sources       what has been fetched, and what of it is held out for validation
    meshes        triangle soups with a material
    wavefront     OBJ and MTL files
    furniture     Sweet Home 3D catalogues: items, their roles, their meshes at true size
    layout        the floor plan: free rectangles and free stretches of wall
    shell         floor, ceiling, walls with windows and doors, framed pictures
    furnish       arrangements: seating, dining, sleeping, working, kitchen, bath
    room          one room, composed of all of these
    labels        what a surface is
    tracing       ray queries against a room
    lighting      irradiance baked at the vertices
    renderer      off-screen rgb, depth and labels
    shapes        round and boxy solids
    figures       capsule figures: hands, people, animals
    things        what stands on tables and floors or is held
    near_things   what stands or is held right before a camera
    stairs        stairwells
    open_air      places under the open sky
    glow          light on what is set into a lit room, and outdoors
    quake_shaders scripts that say what a game level's surfaces show
    quake_levels  game levels with baked light
    level_views   cameras in them
    trajectories  camera paths, and which of them are worth showing
    clips         files

Validation scenes whose cameras leave their place:

    around        paths about a subject
    tabletop      things on tables
    grounds       places in the open
    aside         both, lit, with the paths that fit
"""
